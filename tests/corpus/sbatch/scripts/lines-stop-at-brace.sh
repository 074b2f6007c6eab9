#!/bin/bash
#SBATCH -n 2
{
#SBATCH -n 4
}
