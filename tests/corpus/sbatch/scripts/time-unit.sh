#!/bin/bash
#SBATCH -t 5m
srun ./program
