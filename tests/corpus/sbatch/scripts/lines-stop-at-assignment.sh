#!/bin/bash
#SBATCH -n 2
x=1
#SBATCH -n 4
