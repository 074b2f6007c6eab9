#!/bin/bash
#SBATCH -b fika
srun ./program
